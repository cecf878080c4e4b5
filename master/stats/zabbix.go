package stats

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"time"

	"envoxyd/uwsgiopts"
)

// zabbixMagic begins each message of the Zabbix sender protocol, and its length follows.
const zabbixMagic = "ZBXD\x01"

// zabbixLimit is the longest answer that is read, in bytes.
const zabbixLimit = 64 << 10

// zabbixKey is the key of a metric's item.
func zabbixKey(prefix, metric string) string { return prefix + "." + metric }

// toZabbix sends all metrics to a Zabbix server or proxy as values of trapper items.
func (p *pusher) toZabbix(ctx context.Context, all []Metric) error {
	ctx, cancel := context.WithTimeout(ctx, p.timeout)
	defer cancel()
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "tcp", p.Address)
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(p.timeout)); err != nil {
		return err
	}
	message, err := zabbixMessage(p.zabbixHost(), p.Prefix, all)
	if err != nil {
		return err
	}
	if _, err := conn.Write(message); err != nil {
		return err
	}
	return zabbixAnswer(conn)
}

// zabbixHost is the host's name in Zabbix: this host's, unless the option says another.
func (p *pusher) zabbixHost() string {
	if p.Host != "" {
		return p.Host
	}
	host, err := os.Hostname()
	if err != nil {
		return "localhost"
	}
	return host
}

func zabbixMessage(host, prefix string, all []Metric) ([]byte, error) {
	type value struct {
		Host  string `json:"host"`
		Key   string `json:"key"`
		Value string `json:"value"`
	}
	data := struct {
		Request string  `json:"request"`
		Data    []value `json:"data"`
	}{Request: "sender data"}
	for _, m := range all {
		data.Data = append(data.Data, value{host, zabbixKey(prefix, m.Name), fmt.Sprint(m.Value)})
	}
	text, err := json.Marshal(data)
	if err != nil {
		return nil, fmt.Errorf("zabbix: %w", err)
	}
	return append(binary.LittleEndian.AppendUint64([]byte(zabbixMagic), uint64(len(text))), text...), nil
}

// zabbixAnswer reads whether the server has taken a message.
func zabbixAnswer(r io.Reader) error {
	head := make([]byte, len(zabbixMagic)+8)
	if _, err := io.ReadFull(r, head); err != nil {
		return fmt.Errorf("reading the answer: %w", err)
	}
	size := binary.LittleEndian.Uint64(head[len(zabbixMagic):])
	if string(head[:len(zabbixMagic)]) != zabbixMagic || size > zabbixLimit {
		return errors.New("the answer is not one of a Zabbix server")
	}
	text := make([]byte, size)
	if _, err := io.ReadFull(r, text); err != nil {
		return fmt.Errorf("reading the answer: %w", err)
	}
	var answer struct{ Response, Info string }
	if err := json.Unmarshal(text, &answer); err != nil {
		return fmt.Errorf("the answer: %w", err)
	}
	if answer.Response != "success" {
		return fmt.Errorf("the server has refused the values: %s %s", answer.Response, answer.Info)
	}
	return nil
}

// The export format of Zabbix 5.0, which later servers import too.
type (
	zabbixExport struct {
		XMLName   xml.Name         `xml:"zabbix_export"`
		Version   string           `xml:"version"`
		Groups    []zabbixGroup    `xml:"groups>group"`
		Templates []zabbixTemplate `xml:"templates>template"`
	}
	zabbixGroup struct {
		Name string `xml:"name"`
	}
	zabbixTemplate struct {
		Template string        `xml:"template"`
		Name     string        `xml:"name"`
		Groups   []zabbixGroup `xml:"groups>group"`
		Items    []zabbixItem  `xml:"items>item"`
	}
	zabbixItem struct {
		Name          string               `xml:"name"`
		Type          string               `xml:"type"`
		Key           string               `xml:"key"`
		Delay         string               `xml:"delay"`
		ValueType     string               `xml:"value_type"`
		Preprocessing *zabbixPreprocessing `xml:"preprocessing,omitempty"`
	}
	zabbixPreprocessing struct {
		Step zabbixStep `xml:"step"`
	}
	zabbixStep struct {
		Type   string `xml:"type"`
		Params string `xml:"params"`
	}
)

// WriteZabbixTemplate writes a template with a trapper item for each metric: what a stats-push of the kind zabbix sends. Counters are
// kept as changes per second.
func WriteZabbixTemplate(w io.Writer, prefix string, all []Metric) error {
	groups := []zabbixGroup{{"Templates"}}
	template := zabbixTemplate{Template: "Template uWSGI", Name: "Template uWSGI", Groups: groups}
	for _, m := range all {
		item := zabbixItem{Name: "uWSGI " + m.Name, Type: "TRAP", Key: zabbixKey(prefix, m.Name), Delay: "0", ValueType: "FLOAT"}
		if m.Kind == uwsgiopts.Counter {
			item.Preprocessing = &zabbixPreprocessing{zabbixStep{Type: "CHANGE_PER_SECOND"}}
		}
		template.Items = append(template.Items, item)
	}
	text, err := xml.MarshalIndent(zabbixExport{Version: "5.0", Groups: groups, Templates: []zabbixTemplate{template}}, "", "  ")
	if err != nil {
		return fmt.Errorf("zabbix template: %w", err)
	}
	if _, err := fmt.Fprintf(w, "%s%s\n", xml.Header, text); err != nil {
		return fmt.Errorf("writing the template: %w", err)
	}
	return nil
}
