package uwsgiopts

import (
	"fmt"
	"strings"
)

// unknownNames reports names that no option has and no placeholder reads: they are kept,
// as in uWSGI, but most are misspelt. The environment is full of names that mean nothing.
func (p *parser) unknownNames() {
	const maxHints = 10 // looking for a near name is slow, and whoever has more is not misspelling
	hints := 0
	for _, e := range p.pairs {
		fromFile := e.Origin.Line > 0
		if !fromFile || e.placeholder || p.used[e.Name] || p.noted[e.Name] || private(e.Name) || e.Name == "end" || p.lookup(e.Name) != nil {
			continue
		}
		p.noted[e.Name] = true
		hint := ""
		if hints++; hints <= maxHints {
			hint = p.nearestHint(e.Name)
		}
		p.note(e.Origin, "unknown option %q is ignored%s", e.Name, hint)
	}
}

// nearestHint proposes a known name that is close to an unknown one.
func (p *parser) nearestHint(name string) string {
	const shortest = 4 // shorter names are near to everything
	if len(name) < shortest {
		return ""
	}
	best, distance := "", 1+len(name)/3
	for _, l := range p.options.ordered {
		if l.option.Unsupported != "" {
			continue
		}
		if d := editDistance(name, l.name, distance); d < distance {
			best, distance = l.name, d
		}
	}
	if best == "" {
		return ""
	}
	return fmt.Sprintf("; did you mean %q?", best)
}

// editDistance counts insertions, deletions and changes; limit or more is reported as limit.
func editDistance(a, b string, limit int) int {
	a, b = strings.ReplaceAll(a, "_", "-"), strings.ReplaceAll(b, "_", "-")
	if len(a)-len(b) >= limit || len(b)-len(a) >= limit {
		return limit
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return min(row[len(b)], limit)
}
