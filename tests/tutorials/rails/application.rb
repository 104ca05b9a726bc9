# What Rails does at its start, as far as the database goes: Debian has Active Record, and the rest
# of Rails adds nothing to how it connects.
require "logger"
require "active_record"
require "erb"
require "yaml"

ENV["RAILS_ENV"] = "production"
here = __dir__
settings = ERB.new(File.read(File.join(here, "config/database.yml"))).result
ActiveRecord::Base.configurations = YAML.safe_load(settings, aliases: true)
ActiveRecord::Base.establish_connection
ActiveRecord::Migrator.migrations_paths = [File.join(here, "db/migrate")]

class Order < ActiveRecord::Base
end

class Stock < ActiveRecord::Base
  self.table_name = "stock"
end
