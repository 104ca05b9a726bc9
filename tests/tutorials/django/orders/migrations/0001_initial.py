from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True
    operations = [
        migrations.CreateModel("Stock", [
            ("item", models.TextField(primary_key=True, serialize=False)),
            ("remaining", models.IntegerField()),
        ], options={"db_table": "stock"}),
        migrations.CreateModel("Order", [
            ("id", models.BigAutoField(
                auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
            ("item", models.TextField()),
        ], options={"db_table": "orders"}),
        # The models don't know of it: the database writes down whom it saw.
        migrations.RunSQL([
            "alter table orders add client inet default inet_client_addr()",
            "insert into stock values ('tea', 1000)",
            "insert into orders (item) values ('of the migration')",
        ]),
    ]
