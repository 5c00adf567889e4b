package cluster

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"
)

// client asks the cluster over HTTP, as admin.
type client struct {
	http  *http.Client
	token string
}

func newClient(caFile, token string) (*client, error) {
	ca, err := os.ReadFile(caFile)
	if err != nil {
		return nil, fmt.Errorf("reading the cluster's CA: %w", err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(ca)
	transport := &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: pool},
		// A killed component leaves broken connections; they are not worth keeping.
		DisableKeepAlives: true,
	}
	return &client{&http.Client{Transport: transport, Timeout: 5 * time.Second}, token}, nil
}

func (c *client) get(ctx context.Context, url string) ([]byte, error) {
	return c.do(ctx, http.MethodGet, url, nil)
}

func (c *client) do(ctx context.Context, method, url string, body []byte) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, method, url, bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("asking %s: %w", url, err)
	}
	if strings.HasPrefix(url, "https:") {
		request.Header.Set("Authorization", "Bearer "+c.token)
	}
	if body != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	response, err := c.http.Do(request)
	if err != nil {
		return nil, fmt.Errorf("asking: %w", err)
	}
	defer response.Body.Close()
	content, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, fmt.Errorf("reading the answer of %s: %w", url, err)
	}
	if response.StatusCode/100 != 2 {
		return nil, fmt.Errorf("asking %s: %s: %s", url, response.Status, content)
	}
	return content, nil
}

// read gets an object of the API into a struct that names the fields of interest.
func (c *client) read(ctx context.Context, url string, into any) error {
	content, err := c.get(ctx, url)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(content, into); err != nil {
		return fmt.Errorf("reading the answer of %s: %w", url, err)
	}
	return nil
}
