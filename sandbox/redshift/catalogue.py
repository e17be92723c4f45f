"""What dbt and its models look for in Redshift's catalogue, made in the PostgreSQL behind the stand-in.

The views say what PostgreSQL knows, and nothing of what Redshift alone has: layout, encodings, external tables.
"""

STATEMENTS = """
set allow_system_table_mods = on;
set client_min_messages = error;
create or replace function pg_catalog.pg_get_late_binding_view_cols() returns setof record language sql
    as $$ select null::name, null::name, null::name, null::varchar, null::int where false $$;
create or replace view pg_catalog.svv_external_columns as
    select null::text schemaname, null::text tablename, null::text columnname, null::text external_type,
        null::int columnnum, 0 part_key, null::text is_nullable where false;
create or replace view pg_catalog.svv_external_tables as
    select null::text schemaname, null::text tablename, null::text location where false;
create or replace view pg_catalog.svv_external_schemas as
    select null::oid esoid, null::int eskind, null::text schemaname, null::int esowner, null::text databasename,
        null::text esoptions where false;
create or replace view pg_catalog.svv_tables as
    select table_catalog, table_schema, table_name, table_type, null::text remarks from information_schema.tables;
create or replace view pg_catalog.svv_relation_privileges as
    select table_schema::text namespace_name, table_name::text relation_name,
        lower(privilege_type)::text privilege_type,
        grantee::text identity_name, case when r.rolcanlogin then 'user' else 'group' end::text identity_type,
        false admin_option, null::oid identity_id
    from information_schema.role_table_grants g join pg_roles r on r.rolname = g.grantee;
create or replace view pg_catalog.stv_mv_info as
    select null::text db_name, null::text "schema", null::text name, null::text state, null::int autorefresh
    where false;
create or replace view pg_catalog.svv_mv_info as
    select null::text database_name, null::text schema_name, null::text name, null::text is_stale, null::int state,
        null::text autorewrite, null::text autorefresh where false;
create or replace function pg_catalog.rs_datediff(part text, a timestamp, b timestamp) returns bigint language sql
    immutable as $$ select case part
        when 'year' then date_part('year', b) - date_part('year', a)
        when 'quarter' then (date_part('year', b) - date_part('year', a)) * 4 + date_part('quarter', b)
            - date_part('quarter', a)
        when 'month' then (date_part('year', b) - date_part('year', a)) * 12 + date_part('month', b)
            - date_part('month', a)
        when 'week' then (date_trunc('week', b)::date - date_trunc('week', a)::date) / 7
        when 'day' then b::date - a::date
        else extract(epoch from date_trunc(part, b) - date_trunc(part, a))
            / case part when 'hour' then 3600 when 'minute' then 60 else 1 end
        end::bigint $$;
create or replace function pg_catalog.rs_datediff(part text, a timestamptz, b timestamptz) returns bigint language sql
    stable as $$ select pg_catalog.rs_datediff(part, a at time zone 'UTC', b at time zone 'UTC') $$;
create or replace function pg_catalog.rs_dateadd(part text, n bigint, a timestamp) returns timestamp language sql
    immutable as $$ select a + n * ('1 ' || part)::interval $$;
create or replace function pg_catalog.rs_dateadd(part text, n bigint, a timestamptz) returns timestamptz language sql
    stable as $$ select a + n * ('1 ' || part)::interval $$;
create or replace function pg_catalog.getdate() returns timestamp language sql stable
    as $$ select now() at time zone 'UTC' $$;
create or replace function pg_catalog.json_extract_path_text(told text, variadic path text[]) returns text language sql
    immutable as $$ select told::json #>> path $$;
create or replace function pg_catalog.rs_median(held double precision[]) returns double precision language sql immutable
    as $$ select percentile_cont(0.5) within group (order by each) from unnest(held) as each $$;
drop aggregate if exists pg_catalog.median(double precision);
create aggregate pg_catalog.median(double precision)
    (sfunc = array_append, stype = double precision[], initcond = '{}', finalfunc = pg_catalog.rs_median)
"""
