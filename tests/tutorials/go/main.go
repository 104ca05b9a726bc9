// The application of the tutorial: `shop migrate`, or `shop smoke`, which places orders by twenty
// clients at once and counts what LISTEN tells.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
)

const (
	clients = 20
	orders  = 10
)

func main() {
	ctx, cancel := context.WithTimeout(context.Background(), 90*time.Second)
	defer cancel()
	commands := map[string]func(context.Context) error{"migrate": migrate, "smoke": smoke}
	if err := commands[os.Args[1]](ctx); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func smoke(ctx context.Context) error {
	pool, err := openPool(ctx)
	if err != nil {
		return err
	}
	defer pool.Close()
	listener, err := listen(ctx, "orders")
	if err != nil {
		return err
	}
	defer listener.Close(context.Background())

	results := make(chan result, clients)
	for range clients {
		go func() { results <- client(ctx, pool) }()
	}
	placed := 0
	for range clients {
		one := <-results
		if one.err != nil {
			return one.err
		}
		placed += one.placed
	}
	for range placed {
		if _, err := listener.WaitForNotification(ctx); err != nil {
			return fmt.Errorf("notifications: %w", err)
		}
	}
	prepared := 0
	err = pool.QueryRow(ctx, "select count(*) from pg_prepared_statements where name like $1",
		"PGBOUNCER%").Scan(&prepared)
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(map[string]int{
		"placed": placed, "told": placed, "prepared": prepared})
}

type result struct {
	placed int
	err    error
}

// client places its orders, all but the first, at which it changes its mind.
func client(ctx context.Context, pool *pgxpool.Pool) result {
	for number := range orders {
		if err := place(ctx, pool, number > 0); err != nil {
			return result{err: err}
		}
	}
	return result{placed: orders - 1}
}

func place(ctx context.Context, pool *pgxpool.Pool, kept bool) error {
	tx, err := pool.Begin(ctx)
	if err != nil {
		return err
	}
	defer tx.Rollback(ctx) // after a commit it does nothing
	for _, statement := range []string{
		"insert into orders (item) values ($1)",
		"update stock set remaining = remaining - 1 where item = $1",
		"select pg_notify('orders', $1)",
	} {
		if _, err := tx.Exec(ctx, statement, "tea"); err != nil {
			return err
		}
	}
	if !kept {
		return nil
	}
	return tx.Commit(ctx)
}
