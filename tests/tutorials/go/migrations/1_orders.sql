-- +goose Up
create table stock (item text primary key, remaining int not null);
create table orders (
  id bigint generated always as identity primary key,
  item text not null,
  -- The program does not name it: the database writes down whom it saw.
  client inet default inet_client_addr()
);
insert into stock values ('tea', 1000);
insert into orders (item) values ('of the migration');
