// What pgx and lib/pq make of the URIs and of libpq's keyword form. `dial` lines are connected with
// instead.
package main

import (
	"bufio"
	"context"
	"database/sql"
	"encoding/base64"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/lib/pq"
)

type parts map[string]string

func readPgx(text string) (parts, error) {
	config, err := pgconn.ParseConfig(text)
	if err != nil {
		return nil, err
	}
	hosts := []string{config.Host}
	ports := []string{fmt.Sprint(config.Port)}
	for _, next := range config.Fallbacks {
		hosts = append(hosts, next.Host)
		ports = append(ports, fmt.Sprint(next.Port))
	}
	return parts{"host": strings.Join(hosts, ","), "port": strings.Join(ports, ","),
		"user": config.User, "password": config.Password, "database": config.Database,
		"application_name": config.RuntimeParams["application_name"]}, nil
}

func readPq(text string) (parts, error) {
	config, err := pq.NewConfig(text)
	if err != nil {
		return nil, err
	}
	hosts := []string{config.Host}
	ports := []string{fmt.Sprint(config.Port)}
	for _, next := range config.Multi {
		hosts = append(hosts, next.Host)
		ports = append(ports, fmt.Sprint(next.Port))
	}
	return parts{"host": strings.Join(hosts, ","), "port": strings.Join(ports, ","),
		"user": config.User, "password": config.Password, "database": config.Database,
		"sslmode": string(config.SSLMode), "application_name": config.ApplicationName}, nil
}

const question = "select current_user || ' ' || current_database()"

func dialPgx(ctx context.Context, text string) (answer string, err error) {
	connection, err := pgx.Connect(ctx, text)
	if err != nil {
		return "", err
	}
	defer connection.Close(ctx)
	err = connection.QueryRow(ctx, question).Scan(&answer)
	return answer, err
}

func dialPq(ctx context.Context, text string) (answer string, err error) {
	database, err := sql.Open("postgres", text)
	if err != nil {
		return "", err
	}
	defer database.Close()
	err = database.QueryRowContext(ctx, question).Scan(&answer)
	return answer, err
}

func dial(name, form, text string) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	dials := map[string]func(context.Context, string) (string, error){"pgx": dialPgx, "lib/pq": dialPq}
	for driver, connect := range dials {
		answer, err := connect(ctx, text)
		word := "dialed"
		if err != nil {
			word, answer = "fail", err.Error()
		}
		fmt.Printf("%s\t%s\t%s\t%s\t%s\n", word, driver, name, form, encode(answer))
	}
}

func encode(text string) string { return base64.StdEncoding.EncodeToString([]byte(text)) }

func main() {
	parsers := map[string]func(string) (parts, error){"pgx": readPgx, "lib/pq": readPq}
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		field := strings.Split(lines.Text(), "\t")
		if field[0] == "want" || (field[2] != "uri" && field[2] != "libpq") {
			continue
		}
		text, err := base64.StdEncoding.DecodeString(field[3])
		if err != nil {
			panic(err)
		}
		if field[0] == "dial" {
			dial(field[1], field[2], string(text))
			continue
		}
		for name, parse := range parsers {
			seen, err := parse(string(text))
			if err != nil {
				fmt.Printf("fail\t%s\t%s\t%s\t%s\n", name, field[1], field[2], encode(err.Error()))
				continue
			}
			for part, value := range seen {
				fmt.Printf("got\t%s\t%s\t%s\t%s\t%s\n", name, field[1], field[2], part, encode(value))
			}
		}
	}
}
