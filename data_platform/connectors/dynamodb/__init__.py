"""DynamoDB: tables read whole by a parallel scan, and from then on by their streams."""
