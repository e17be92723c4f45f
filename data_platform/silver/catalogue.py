"""Every silver table that is made of several others, gathered from the modules beside this one."""

from data_platform.silver.ad_performance import AD_PERFORMANCE
from data_platform.silver.customer_identities import CUSTOMER_IDENTITIES
from data_platform.silver.customers import CUSTOMERS
from data_platform.silver.joined import Joined
from data_platform.silver.opportunity_amounts import OPPORTUNITY_AMOUNTS
from data_platform.silver.order_reconciliation import ORDER_RECONCILIATION
from data_platform.silver.orders import ORDERS
from data_platform.silver.payments import PAYMENTS
from data_platform.silver.products import PRODUCTS
from data_platform.silver.user_campaign_progress import USER_CAMPAIGN_PROGRESS
from data_platform.silver.user_sessions import USER_SESSIONS

JOINED: tuple[Joined, ...] = (
    AD_PERFORMANCE,
    CUSTOMER_IDENTITIES,
    CUSTOMERS,
    OPPORTUNITY_AMOUNTS,
    ORDERS,
    PRODUCTS,
    PAYMENTS,
    ORDER_RECONCILIATION,
    USER_CAMPAIGN_PROGRESS,
    USER_SESSIONS,
)
