with sessions as (
    select
        session_date,
        {{ or_none('device_type') }} as device_type,
        product_views > 0 or cart_additions > 0 or checkouts > 0 or purchases > 0 as saw_product,
        cart_additions > 0 or checkouts > 0 or purchases > 0 as filled_cart,
        checkouts > 0 or purchases > 0 as checked_out,
        purchases > 0 as purchased
    from {{ ref('fct_user_sessions') }}
    where not is_deleted and not is_bot
),

counted as (
    select
        session_date,
        device_type,
        count(*) as sessions,
        count(case when saw_product then 1 end) as saw_product,
        count(case when filled_cart then 1 end) as filled_cart,
        count(case when checked_out then 1 end) as checked_out,
        count(case when purchased then 1 end) as purchased
    from sessions
    group by session_date, device_type
)

select
    session_date,
    device_type,
    sessions,
    saw_product,
    filled_cart,
    checked_out,
    purchased,
    {{ share('saw_product', 'sessions') }} as product_rate,
    {{ share('filled_cart', 'saw_product') }} as cart_rate,
    {{ share('checked_out', 'filled_cart') }} as checkout_rate,
    {{ share('purchased', 'checked_out') }} as purchase_rate,
    {{ share('purchased', 'sessions') }} as conversion_rate
from counted
