class CreateOrders < ActiveRecord::Migration[6.1]
  def up
    create_table(:stock, id: false) do |t|
      t.text :item, primary_key: true
      t.integer :remaining, null: false
    end
    create_table(:orders) { |t| t.text :item, null: false }
    # The models don't name it: the database writes down whom it saw.
    execute "alter table orders add client inet default inet_client_addr()"
    execute "insert into stock values ('tea', 1000)"
    execute "insert into orders (item) values ('of the migration')"
  end
end
