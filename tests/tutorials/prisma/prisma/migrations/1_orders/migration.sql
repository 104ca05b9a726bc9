CREATE TABLE "stock" ("item" TEXT NOT NULL PRIMARY KEY, "remaining" INTEGER NOT NULL);
CREATE TABLE "orders" ("id" SERIAL PRIMARY KEY, "item" TEXT NOT NULL);
-- The schema does not name it: the database writes down whom it saw.
ALTER TABLE "orders" ADD "client" INET DEFAULT inet_client_addr();
INSERT INTO "stock" VALUES ('tea', 1000);
INSERT INTO "orders" ("item") VALUES ('of the migration');
