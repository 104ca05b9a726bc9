# Twenty threads place orders, each by its own connection to the pooler.
ENV["RAILS_MAX_THREADS"] = "20"
require_relative "application"
require "json"

CLIENTS = 20
ORDERS = 10

# Placed, or not: every client changes its mind once.
def place(kept)
  Order.transaction do
    Order.create!(item: "tea")
    Stock.where(item: "tea").update_all("remaining = remaining - 1")
    raise ActiveRecord::Rollback unless kept
  end
  kept
end

def client
  ActiveRecord::Base.connection_pool.with_connection do
    placed = (0...ORDERS).count { |number| place(number.positive?) }
    listed = Order.find_each(batch_size: 7).count
    raise "#{listed} orders" unless listed.positive?
    placed
  end
end

# Another pool beside the application's, with prepared statements.
def connect_prepared(statement_limit)
  settings = ActiveRecord::Base.connection_db_config.configuration_hash
  Order.establish_connection(settings.merge(prepared_statements: true, statement_limit: statement_limit))
end

# Three statements in one transaction.
def read_in_a_transaction
  Order.transaction do
    Order.where(item: "tea").first
    Order.where(id: 1).first
    Order.where(id: 1, item: "tea").first
    sql = "select count(*) from pg_prepared_statements where name like 'PGBOUNCER%'"
    Order.connection.select_value(sql)
  end
end

placed = CLIENTS.times.map { Thread.new { client } }.sum(&:value)
ActiveRecord::Base.connection_pool.disconnect!

connect_prepared(1000)
prepared = read_in_a_transaction
connect_prepared(2)
refused =
  begin
    read_in_a_transaction
    nil
  rescue ActiveRecord::StatementInvalid => error
    error.message.lines.first.strip
  end
puts({placed: placed, prepared: prepared, refused: refused, rails: ActiveRecord.version.to_s}.to_json)
