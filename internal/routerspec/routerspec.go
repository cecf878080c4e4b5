// Package routerspec is what the master and a router process say to each other: the document that the process is
// started with, and the messages afterwards.
package routerspec

import (
	"encoding/json"

	"envoxyd/internal/tlsspec"
)

// Kinds of routers, by the names that uWSGI's options and log lines have.
const (
	KindHTTP = "http"
	KindFast = "fastrouter"
	KindRaw  = "rawrouter"
	KindSSL  = "sslrouter"
)

// Spec is the document; the process finds its descriptor's number in its first argument. All descriptors are inherited.
type Spec struct {
	Kind      string `json:"kind"`
	Number    int    `json:"number"`     // of the process among those of its kind, from 1
	ControlFD int    `json:"control_fd"` // a SOCK_SEQPACKET socket to the master: Orders in, Events out
	Siblings  bool   `json:"siblings"`   // there are other processes of the kind
	Version   string `json:"version"`

	Fronts        []Socket `json:"fronts"`        // where clients connect
	VaultFD       int      `json:"vault_fd"`      // the memory of certificates and keys, where a front speaks TLS: see internal/tlsconfig
	Subscriptions []Socket `json:"subscriptions"` // datagram sockets where nodes announce themselves
	Stats         []Socket `json:"stats"`
	StatsHTTP     bool     `json:"stats_http"`

	// Known are announcements that processes before this one have had, each as nodes.Announcement.
	Known []json.RawMessage `json:"known"`

	Routing Routing `json:"routing"`
	HTTP    HTTP    `json:"http"` // of an HTTP router
	XClient bool    `json:"xclient"`
	ByHost  bool    `json:"by_host"` // of a TLS router: --sslrouter-sni
	Signed  *Signed `json:"signed"`  // nil: subscriptions need no signature

	// CredentialDirs: a subscription over a unix socket counts if one of these holds a file that is named for its key and
	// belongs to the sender. None: there is no such check.
	CredentialDirs []string `json:"credential_dirs"`
	VassalNeeded   bool     `json:"vassal_needed"`
}

// Socket is one that is inherited.
type Socket struct {
	FD   int    `json:"fd"`
	Key  string `json:"key"`  // as it was written: what a raw router's nodes subscribe to
	Name string `json:"name"` // as the log has it
	Port string `json:"port"`

	Redirect bool `json:"redirect,omitempty"` // of a front of HTTP: --http-to-https

	TLS *tlsspec.Socket `json:"tls,omitempty"` // of a front; nil: clients speak in the clear
}

// Routing is where requests go.
type Routing struct {
	To              []string `json:"to"`
	Pattern         string   `json:"pattern"`  // the first %s is the key
	Base            string   `json:"base"`     // directory of sockets that are named for keys
	CacheFD         int      `json:"cache_fd"` // the memory of a cache with addresses by key: see shm.CacheValue; 0: there is none
	Fallback        []string `json:"fallback"`
	FallbackOnNoKey bool     `json:"fallback_on_no_key"`
	FallbackKey     string   `json:"fallback_key"`
	ForceKey        string   `json:"force_key"`
	Algorithm       string   `json:"algorithm"`
	DotSplit        bool     `json:"dot_split"`
	ToleranceMillis int      `json:"tolerance_millis"`
	GraceMillis     int      `json:"grace_millis"`
	TimeoutMillis   int      `json:"timeout_millis"`
	ConnectMillis   int      `json:"connect_millis"`
	MaxRetries      int      `json:"max_retries"`
	MercyMillis     int      `json:"mercy_millis"` // for requests in hand, at a stop
	Quiet           bool     `json:"quiet"`
	Cheap           bool     `json:"cheap"` // nothing is accepted while there is no node
	PostBuffering   int64    `json:"post_buffering"`
	BufferDir       string   `json:"buffer_dir"`
	LimitPost       int64    `json:"limit_post"`
	FilesLimit      int64    `json:"files_limit"` // of bodies on disk, bytes; 0: none
	Resubscribe     []string `json:"resubscribe"`
	ResubscribeBind string   `json:"resubscribe_bind"`
}

// HTTP are the options of an HTTP router.
type HTTP struct {
	Modifier1       byte     `json:"modifier1"`
	Modifier2       byte     `json:"modifier2"`
	Vars            []string `json:"vars"` // NAME=VALUE
	HeadMillis      int      `json:"head_millis"`
	KeepaliveMillis int      `json:"keepalive_millis"` // 0: a connection serves one request
	AutoChunked     bool     `json:"auto_chunked"`
	ManageExpect    int64    `json:"manage_expect"` // the largest body that is let in; 0, -1: no limit
	ChunkedInput    bool     `json:"chunked_input"`
	RawBody         bool     `json:"raw_body"`
	Source          bool     `json:"source"`       // --http-manage-source
	BackendHTTP     bool     `json:"backend_http"` // nodes speak HTTP
	ProxyProtocol   bool     `json:"proxy_protocol"`
	Stud            []string `json:"stud"` // addresses whose connections begin with the client's
	ServerNameHost  bool     `json:"server_name_host"`
	KeepSlashes     bool     `json:"keep_slashes"`
}

// Signed is how signatures of subscriptions are checked.
type Signed struct {
	Digest           string `json:"digest"`
	Dir              string `json:"dir"` // of public keys
	ToleranceSeconds int    `json:"tolerance_seconds"`
	SkipUIDs         []int  `json:"skip_uids"`
}

// Orders that the master gives.
const (
	// Announce and Withdraw pass on what another process of the kind has heard.
	Announce = "announce"
	Withdraw = "withdraw"
	// Stop accepts nothing more, finishes what is in hand and ends.
	Stop = "stop"
)

// Order is one datagram from the master.
type Order struct {
	Kind      string          `json:"kind"`
	Node      json.RawMessage `json:"node,omitempty"`      // of Announce and Withdraw: a nodes.Announcement
	Successor bool            `json:"successor,omitempty"` // of Stop: another process serves the same sockets
}

// Event is one datagram to the master: Announce or Withdraw, as this process has heard, or Ready.
type Event struct {
	Kind string          `json:"kind"`
	Node json.RawMessage `json:"node,omitempty"`
}

// Ready tells that the process accepts connections.
const Ready = "ready"
