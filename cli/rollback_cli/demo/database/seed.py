"""Rows of the demo environment's branch, beside the tables of its migrations.

A data loss report must be exact about them. There is a table of two million rows, a table without a key, a table with
row security, and a second database.
"""

BAD_RELEASE_NAME = "by v1.1.0"  # marks the rows that the bad release writes
BILLING = "billing"
MEASUREMENTS = 2_000_000
TENANT = "acme"


def seed_statements(measurements: int = MEASUREMENTS) -> str:
    """Return the SQL that fills the first database.

    Args:
        measurements: rows of the large table. They are narrow, since Neon's stand-in copies them with each branch.
    """
    return f"""
CREATE TABLE measurements (id int PRIMARY KEY, value int NOT NULL);
INSERT INTO measurements SELECT n, n % 100 FROM generate_series(1, {measurements}) n;
CREATE TABLE audit (at timestamptz NOT NULL DEFAULT now(), what text NOT NULL);
INSERT INTO audit (what) SELECT 'seen ' || n FROM generate_series(1, 5) n;
CREATE TABLE notes (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, tenant text NOT NULL, body text NOT NULL);
INSERT INTO notes (tenant, body) VALUES ('{TENANT}', 'before'), ('globex', 'before');
ALTER TABLE notes ENABLE ROW LEVEL SECURITY;
ALTER TABLE notes FORCE ROW LEVEL SECURITY;
CREATE POLICY of_tenant ON notes USING (tenant = current_setting('app.tenant', true));
"""  # noqa: S608 - constants


SEED_BILLING = """
CREATE TABLE invoices (id serial PRIMARY KEY, amount int NOT NULL, by text NOT NULL);
INSERT INTO invoices (amount, by) VALUES (100, 'before'), (200, 'before');
"""
# Two other systems write these rows after v1.1.0 was shipped. Postgres logs 32 values of a sequence ahead: more users
# than that make sure that the restore takes the sequence back, however few requests the service answered. The invoices
# are in a database of their own, which is restored with the branch.
IMPORTED_USERS = 40
IMPORT_USERS = f"INSERT INTO users (name) SELECT 'imported ' || n FROM generate_series(1, {IMPORTED_USERS}) n"  # noqa: S608
ADD_INVOICES = "INSERT INTO invoices (amount, by) SELECT 10 * n, 'since' FROM generate_series(1, 3) n"

# The writes of one request, in one transaction. The tenant is set for that transaction only, as a pooler requires.
BAD_RELEASE_WRITES = f"""
SELECT set_config('app.tenant', '{TENANT}', true);
INSERT INTO users (name) VALUES ('{BAD_RELEASE_NAME}');
INSERT INTO audit (what) VALUES ('{BAD_RELEASE_NAME}');
INSERT INTO notes (tenant, body) VALUES ('{TENANT}', '{BAD_RELEASE_NAME}');
UPDATE measurements SET value = -1 WHERE id = (SELECT 1 + floor(random() * {MEASUREMENTS})::int)
"""  # noqa: S608 - constants
