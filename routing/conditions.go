package routing

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"envoxyd/internal/pcre"
)

// condition is what --route-if asks of a request.
type condition func(r *Request) bool

// conditions makes the conditions by name. Those with two arguments get what is on both sides of the first semicolon;
// second is nil where there is none: they do not hold then.
var conditions = map[string]func(c *compiler, first, second *template) (condition, error){
	"exists": ofPath(func(path string) bool { _, err := os.Stat(path); return err == nil }),
	"isfile": ofPath(func(path string) bool { i, err := os.Stat(path); return err == nil && i.Mode().IsRegular() }),
	"isdir":  ofPath(func(path string) bool { i, err := os.Stat(path); return err == nil && i.IsDir() }),
	"islink": ofPath(func(path string) bool { i, err := os.Lstat(path); return err == nil && i.Mode()&os.ModeSymlink != 0 }),
	"isexec": ofPath(func(path string) bool { return unix.Access(path, unix.X_OK) == nil }),
	"empty": func(_ *compiler, text, _ *template) (condition, error) {
		return func(r *Request) bool { return len(text.look(r)) == 0 }, nil
	},

	"equal":      ofTexts(bytes.Equal),
	"startswith": ofTexts(bytes.HasPrefix),
	"endswith":   ofTexts(bytes.HasSuffix),
	"contains":   ofTexts(func(text, part []byte) bool { return len(part) > 0 && bytes.Contains(text, part) }),

	"ishigher":      ofNumbers(func(a, b int64) bool { return a > b }),
	"islower":       ofNumbers(func(a, b int64) bool { return a < b }),
	"ishigherequal": ofNumbers(func(a, b int64) bool { return a >= b }),
	"islowerequal":  ofNumbers(func(a, b int64) bool { return a <= b }),

	"regexp": regexpCondition,
	"ipv4in": addressIn(netip.Addr.Is4),
	"ipv6in": addressIn(netip.Addr.Is6),
}

// conditionAliases are other names of conditions.
var conditionAliases = map[string]string{
	"isequal": "equal", "eq": "equal", "==": "equal", "contain": "contains", "re": "regexp",
	">": "ishigher", "<": "islower", ">=": "ishigherequal", "<=": "islowerequal",
}

// ofOne are conditions with one argument, semicolons and all.
var ofOne = []string{"exists", "isfile", "isdir", "islink", "isexec", "empty"}

// Conditions returns the names of all conditions.
func Conditions() (names []string) {
	for name := range conditions {
		names = append(names, name)
	}
	for name := range conditionAliases {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// condition reads NAME:ARGUMENTS.
func (c *compiler) condition(u *rule, text string) error {
	given, arguments, found := strings.Cut(text, ":")
	if !found {
		return errors.New("invalid route condition syntax: a condition is NAME:ARGUMENTS")
	}
	name := given
	if alias, known := conditionAliases[name]; known {
		name = alias
	}
	build, known := conditions[name]
	if !known {
		if name == "lord" {
			return errors.New(`the route condition "lord" is not supported: there are no legions; have what elects a leader set a file, and use isfile:`)
		}
		return fmt.Errorf("unable to find %q route condition", given)
	}
	left, right, two := arguments, "", false
	if !slices.Contains(ofOne, name) {
		left, right, two = strings.Cut(arguments, ";")
	}
	first := c.template(left)
	var second *template
	if two {
		second = c.template(right)
	}
	condition, err := build(c, first, second)
	if err != nil {
		return fmt.Errorf("route condition %q: %w", given, err)
	}
	not := ""
	if u.negated {
		not = "!"
	}
	u.condition = condition
	u.description = fmt.Sprintf("subject: %s func: %s%s ", arguments, not, given)
	return nil
}

func ofPath(holds func(path string) bool) func(*compiler, *template, *template) (condition, error) {
	return func(_ *compiler, path, _ *template) (condition, error) {
		return func(r *Request) bool {
			text := path.look(r)
			return len(text) > 0 && bytes.IndexByte(text, 0) < 0 && holds(string(text))
		}, nil
	}
}

func ofTexts(holds func(a, b []byte) bool) func(*compiler, *template, *template) (condition, error) {
	return func(_ *compiler, first, second *template) (condition, error) {
		if second == nil {
			return never, nil
		}
		return func(r *Request) bool { return holds(first.look(r), second.look(r)) }, nil
	}
}

func never(*Request) bool { return false }

func ofNumbers(holds func(a, b int64) bool) func(*compiler, *template, *template) (condition, error) {
	return func(_ *compiler, first, second *template) (condition, error) {
		if second == nil {
			return never, nil
		}
		return func(r *Request) bool { return holds(leadingInt(first.look(r)), leadingInt(second.look(r))) }, nil
	}
}

// regexpCondition compiles the expression once if it is the same for all requests.
func regexpCondition(c *compiler, text, expression *template) (condition, error) {
	if expression == nil {
		return never, nil
	}
	if expression.constant == nil {
		return func(r *Request) bool {
			pattern, err := pcre.Compile(string(expression.look(r)))
			if err != nil {
				r.log(err.Error())
				return false
			}
			return r.find(pattern, text)
		}, nil
	}
	pattern, err := pcre.Compile(string(expression.constant))
	return func(r *Request) bool { return r.find(pattern, text) }, err
}

// find matches and keeps the captures. What they are of is kept, too: they are used after the condition.
func (r *Request) find(pattern *pcre.Pattern, text *template) (found bool) {
	r.subject = text.look(r)
	r.spans, found = pattern.Find(r.spans[:0], r.subject)
	return found
}

// addressIn looks whether an address is in a network: ADDRESS or ADDRESS/BITS. What is no address of this family is not.
func addressIn(family func(netip.Addr) bool) func(*compiler, *template, *template) (condition, error) {
	return func(_ *compiler, address, network *template) (condition, error) {
		if network == nil {
			return never, nil
		}
		holds := func(r *Request, in netip.Prefix) bool {
			a, err := netip.ParseAddr(string(address.look(r)))
			return err == nil && family(a) && in.Contains(a.WithZone(""))
		}
		if network.constant == nil {
			return func(r *Request) bool {
				in, err := parseNetwork(string(network.look(r)))
				return err == nil && family(in.Addr()) && holds(r, in)
			}, nil
		}
		in, err := parseNetwork(string(network.constant))
		if err == nil && !family(in.Addr()) {
			err = fmt.Errorf("%s is of the other family", in)
		}
		return func(r *Request) bool { return holds(r, in) }, err
	}
}

func parseNetwork(text string) (netip.Prefix, error) {
	if strings.Contains(text, "/") {
		in, err := netip.ParsePrefix(text)
		if err != nil {
			return in, fmt.Errorf("%q is not a network: %w", text, err)
		}
		return in.Masked(), nil
	}
	a, err := netip.ParseAddr(text)
	if err != nil {
		return netip.Prefix{}, fmt.Errorf("%q is neither an address nor a network: %w", text, err)
	}
	return netip.PrefixFrom(a, a.BitLen()), nil
}
