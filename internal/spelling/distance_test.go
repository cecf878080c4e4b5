package spelling

import "testing"

func TestDistance(t *testing.T) {
	for _, tt := range []struct {
		a, b        string
		limit, want int
	}{
		{"", "", 3, 0}, {"modules", "modules", 3, 0}, {"modlues", "modules", 3, 1}, {"module", "modules", 3, 1}, {"", "ab", 3, 2}, {"ab", "", 3, 2},
		{"kitten", "sitting", 9, 3}, {"kitten", "sitting", 2, 2}, {"a", "abcdef", 3, 3}, {"ab", "ba", 1, 1},
		{"vaccum", "vacuum", 5, 1}, {"guid", "gid", 5, 1},
	} {
		if got := Distance(tt.a, tt.b, tt.limit); got != tt.want {
			t.Errorf("%q, %q, below %d: %d, want %d", tt.a, tt.b, tt.limit, got, tt.want)
		}
	}
}
