from django.db import models


class Stock(models.Model):
    item = models.TextField(primary_key=True)
    remaining = models.IntegerField()

    class Meta:
        db_table = "stock"


class Order(models.Model):
    item = models.TextField()

    class Meta:
        db_table = "orders"
