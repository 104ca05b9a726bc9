// What pgx and lib/pq make of the URIs and of libpq's keyword form.
package main

import (
	"bufio"
	"encoding/base64"
	"fmt"
	"os"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/lib/pq"
)

type parts map[string]string

func pgx(text string) (parts, error) {
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

func libpq(text string) (parts, error) {
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

func encode(text string) string { return base64.StdEncoding.EncodeToString([]byte(text)) }

func main() {
	parsers := map[string]func(string) (parts, error){"pgx": pgx, "lib/pq": libpq}
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		field := strings.Split(lines.Text(), "\t")
		if field[0] != "url" || (field[2] != "uri" && field[2] != "libpq") {
			continue
		}
		text, err := base64.StdEncoding.DecodeString(field[3])
		if err != nil {
			panic(err)
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
