// Verifies one webhook delivery: reads {"secret", "headers", "body"} from standard input.
package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

func main() {
	var delivery struct {
		Secret  string            `json:"secret"`
		Headers map[string]string `json:"headers"`
		Body    string            `json:"body"`
	}
	if err := json.NewDecoder(os.Stdin).Decode(&delivery); err != nil {
		fail(err)
	}
	headers := http.Header{}
	for name, value := range delivery.Headers {
		headers.Set(name, value)
	}
	webhook, err := standardwebhooks.NewWebhook(delivery.Secret)
	if err != nil {
		fail(err)
	}
	if err := webhook.Verify([]byte(delivery.Body), headers); err != nil {
		fail(err)
	}
	fmt.Println("verified")
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}
