"""What is landed from the app's DynamoDB: campaigns, and how far users are. How it is read: connectors/dynamodb."""

from datetime import timedelta

from data_platform.declarations import (
    BINARY,
    BOOLEAN,
    DECIMAL,
    ERROR,
    INTEGER,
    JSON,
    LIST,
    ON_CHANGE,
    STRING,
    STRUCT,
    TIMESTAMP,
    WARN,
    Column,
    Dimension,
    Personal,
    Rule,
    SourceTable,
    Stream,
    at_least,
    holds,
    not_ahead,
    not_null,
    one_of,
    years,
)

# A table is read whole once, and from then on by its stream.
BY_STREAM = Stream(order="sequence number")
TASKS = LIST(
    STRUCT(
        Column("taskID", STRING),
        Column("progress", DECIMAL(20, 10), description="Per cent."),
        Column("attempts", INTEGER),
        Column("completedAt", TIMESTAMP),
    )
)

USER_CAMPAIGN = SourceTable(
    system="dynamodb",
    name="user_campaign",
    reads="user_Campaign",
    description="Campaigns that users take part in, with how far each is in each of their tasks.",
    key=("userID", "campaignID"),
    load=BY_STREAM,
    every=ON_CHANGE,
    owner="team:marketing",
    keep_for=years(3),
    restricted=True,
    columns=(
        Column("userID", STRING, required=True, personal=Personal.USER),
        Column("campaignID", STRING, required=True),
        Column("createdAt", TIMESTAMP, rule=(not_null(WARN), not_ahead(timedelta(minutes=5)))),
        Column("updatedAt", TIMESTAMP),
        Column("status", STRING, rule=one_of("active", "completed", "abandoned")),
        Column(
            "progressDetails",
            TASKS,
            rule=(
                Rule(
                    "progress_between",
                    "not exists({column}, task -> task.progress not between 0 and 100)",
                    "says of each task a progress between 0 and 100",
                    severity=ERROR,
                ),
                Rule(
                    "tasks_named",
                    "not exists({column}, task -> task.taskID is null)",
                    "names each of its tasks",
                    Dimension.COMPLETENESS,
                ),
                Rule(
                    "tasks_once",
                    "size(array_distinct({column}.taskID)) = size({column}.taskID)",
                    "holds each task once",
                    Dimension.UNIQUENESS,
                ),
            ),
        ),
        Column("points", DECIMAL(38, 10), rule=at_least(0, WARN)),
        Column("badges", LIST(STRING), description="A set, in the order of its letters."),
        Column("preferences", JSON, personal=Personal.FREE_TEXT),
        Column("consent", BINARY, description="The signature under the campaign's terms."),
        Column("expiresAt", TIMESTAMP, description="When DynamoDB deletes it by its time to live."),
    ),
)

CAMPAIGN_INFO = SourceTable(
    system="dynamodb",
    name="campaign_info",
    reads="campaignInfo",
    description="The tasks of each campaign, and until when they are to be done.",
    key=("campaignID", "taskID"),
    load=BY_STREAM,
    every=ON_CHANGE,
    owner="team:marketing",
    keep_for=years(3),
    columns=(
        Column("campaignID", STRING, required=True),
        Column("taskID", STRING, required=True),
        Column("campaignName", STRING),
        Column("taskName", STRING, rule=not_null(WARN)),
        Column("createdAt", TIMESTAMP),
        Column("taskDeadline", TIMESTAMP),
        Column("reward", DECIMAL(18, 2), sensitive=True, rule=at_least(0)),
        Column("isActive", BOOLEAN),
        Column("channels", LIST(STRING), description="A set, in the order of its letters."),
    ),
    rules=(
        holds(
            "deadline_after_creation", "{taskDeadline} > {createdAt}", "a task is due after it was made", WARN
        ),
    ),
)

TABLES = (USER_CAMPAIGN, CAMPAIGN_INFO)
