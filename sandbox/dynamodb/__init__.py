"""Amazon's DynamoDB Local, the tables of the app's campaigns in it, and a stand-in for Streams with shard trees."""
