"""Amazon's own DynamoDB Local, the tables of the company's campaigns in it, and a stand-in for Streams with shard trees."""
