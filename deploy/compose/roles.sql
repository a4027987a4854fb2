-- Run by psql as the superuser, in the database of the application. The owner's role migrates; the
-- application's role owns no table, so that row-level security binds it.
SELECT format('CREATE ROLE %I', role)
FROM unnest(ARRAY['highlights_owner', 'highlights_app']) AS role
WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = role) \gexec
\getenv owner_password OWNER_PASSWORD
\getenv app_password APP_PASSWORD
ALTER ROLE highlights_owner LOGIN NOSUPERUSER NOBYPASSRLS PASSWORD :'owner_password';
ALTER ROLE highlights_app LOGIN NOSUPERUSER NOBYPASSRLS PASSWORD :'app_password';
ALTER DATABASE :"DBNAME" OWNER TO highlights_owner;
ALTER SCHEMA public OWNER TO highlights_owner;
REVOKE ALL ON DATABASE :"DBNAME" FROM PUBLIC;
GRANT CONNECT ON DATABASE :"DBNAME" TO highlights_app;
