-- May be run again: what is there stays.
create table if not exists articles (name text primary key);
alter table articles owner to shop;
insert into articles values ('teapot'), ('kettle'), ('cup') on conflict do nothing;
