"""Silver user_campaign_progress: one row per user, campaign and task, as far as the user is in it.

Known untruths: of a task that a list holds twice, the last entry counts; a task that no campaign has is there without
a deadline; users whose newest version waits in quarantine are as they were before it.
"""

from pyspark.sql import DataFrame
from pyspark.sql import functions as F  # noqa: N812 - its usual name

from data_platform.declarations import (
    BOOLEAN,
    DATE,
    DECIMAL,
    INTEGER,
    STRING,
    TIMESTAMP,
    WARN,
    Column,
    Dimension,
    Personal,
    Rule,
)
from data_platform.silver.joined import Inputs, Joined
from data_platform.sources.dynamodb import CAMPAIGN_INFO, USER_CAMPAIGN

NAME = "user_campaign_progress"
USERS, TASKS = USER_CAMPAIGN.silver_name, CAMPAIGN_INFO.silver_name
LAST_ENTRIES = """
filter(progress_details, (task, place) ->
    task.taskID is not null and not exists(
        slice(progress_details, place + 2, size(progress_details)), later -> later.taskID = task.taskID))
"""


def each_task(users: DataFrame) -> DataFrame:
    """A row for each task in the lists of these users."""
    listed = users.select(
        "user_id",
        "campaign_id",
        "created_at",
        "status",
        "_landed_at",
        F.explode(F.expr(LAST_ENTRIES)).alias("task"),
    )
    return listed.select(
        *("user_id", "campaign_id", "created_at", "status", "_landed_at"),
        F.col("task.taskID").alias("task_id"),
        F.col("task.progress").alias("progress"),
        F.col("task.attempts").alias("attempts"),
        F.col("task.completedAt").alias("completed_at"),
    )


def user_campaign_progress(inputs: Inputs) -> DataFrame:
    told = inputs[TASKS].select(
        *("campaign_id", "task_id", "campaign_name", "task_name", "task_deadline"),
        F.lit(True).alias("has_campaign"),
    )
    joined = each_task(inputs[USERS]).join(told, ["campaign_id", "task_id"], "left")
    return joined.withColumns(
        {
            "created_on": F.to_date("created_at"),
            "has_campaign": F.coalesce("has_campaign", F.lit(False)),
        }
    )


def touched(changed: Inputs, live: Inputs) -> DataFrame:
    """The tasks that are listed now, those that were before, and those of campaigns that changed."""
    held, users, tasks = live[NAME], changed[USERS], changed[TASKS]
    listed = each_task(users).select(*KEY)
    were = held.join(
        F.broadcast(users.select("user_id", "campaign_id")), ["user_id", "campaign_id"], "left_semi"
    )
    told = held.join(
        F.broadcast(tasks.select("campaign_id", "task_id")), ["campaign_id", "task_id"], "left_semi"
    )
    return listed.unionByName(were.select(*KEY)).unionByName(told.select(*KEY))


KEY = ("user_id", "campaign_id", "task_id")
USER_CAMPAIGN_PROGRESS = Joined(
    name=NAME,
    description="How far each user is in each task of a campaign, and until when the task is to be done.",
    owner="team:marketing",
    key=KEY,
    inputs=(USER_CAMPAIGN, CAMPAIGN_INFO),
    columns=(
        Column("user_id", STRING, required=True, personal=Personal.USER),
        Column("campaign_id", STRING, required=True),
        Column("task_id", STRING, required=True),
        Column("created_on", DATE, description="The day, in UTC, on which the user began with the campaign."),
        Column("created_at", TIMESTAMP, description="When the user began with the campaign."),
        Column("status", STRING, description="Of the user in the campaign as a whole."),
        Column("progress", DECIMAL(20, 10), description="Per cent."),
        Column("attempts", INTEGER),
        Column("completed_at", TIMESTAMP),
        Column("campaign_name", STRING),
        Column("task_name", STRING),
        Column("task_deadline", TIMESTAMP),
        Column("has_campaign", BOOLEAN, required=True, description="The campaign has such a task."),
    ),
    made=user_campaign_progress,
    touched=touched,
    by_key_alone=(TASKS,),
    belonging={USERS: ("user_id", "campaign_id"), TASKS: ("campaign_id", "task_id")},
    partitioned_by=("created_on",),
    rules=(
        Rule(
            "task_has_campaign",
            "{has_campaign}",
            "belongs to a campaign that has such a task",
            Dimension.CONSISTENCY,
            WARN,
        ),
    ),
)
