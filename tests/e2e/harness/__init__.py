"""What the black-box tests are made of: the cluster's API, a Postgres, clients that run as pods."""
