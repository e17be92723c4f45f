"""Every silver table that is made of several others, gathered from the modules beside this one."""

from data_platform.silver.ad_performance import AD_PERFORMANCE
from data_platform.silver.joined import Joined
from data_platform.silver.opportunity_amounts import OPPORTUNITY_AMOUNTS
from data_platform.silver.user_campaign_progress import USER_CAMPAIGN_PROGRESS

JOINED: tuple[Joined, ...] = (AD_PERFORMANCE, OPPORTUNITY_AMOUNTS, USER_CAMPAIGN_PROGRESS)
