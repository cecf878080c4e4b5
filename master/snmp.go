package master

import (
	"encoding/hex"

	"envoxyd/master/process"
	"envoxyd/master/snmp"
	"envoxyd/master/sockets"
)

// communityReport is how a process tells of uwsgi.snmp_set_community().
const communityReport = "snmp-community"

// serveSNMP answers as the serving generation wants it.
func (m *master) serveSNMP() {
	settings := snmp.Settings{FD: -1}
	for _, s := range m.sockets {
		if s.Protocol == sockets.SNMP {
			settings.FD, settings.Name = s.FD, s.Name
		}
	}
	if m.current != nil {
		settings.Community = m.cfg.SNMPCommunity
		if set := m.current.community; set != nil {
			settings.Community = *set
		}
	}
	m.snmp.Replace(statsHost{m}, m.snmpValues, settings)
}

// communityReport takes the community that the application has set.
func (g *generation) communityReport(r process.Report) {
	community, err := hex.DecodeString(r.Text)
	if err != nil || !g.cfg.SNMP {
		return
	}
	text := string(community)
	g.community = &text
	if g == g.m.current {
		g.m.serveSNMP()
	}
}
