package master

import (
	"crypto/sha1"
	"fmt"
	"os"
	"time"
)

// instanceUUID names the instance, the same over all reloads: a UUID of version 5 (RFC 9562) made of host, process and start.
func instanceUUID(started time.Time) string {
	host, _ := os.Hostname()
	sum := sha1.Sum(fmt.Appendf(nil, "envoxyd %s %d %d", host, os.Getpid(), started.UnixNano()))
	sum[6], sum[8] = sum[6]&0x0f|0x50, sum[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", sum[:4], sum[4:6], sum[6:8], sum[8:10], sum[10:16])
}
