//go:build race

package uwsgiopts

// slowdown is what the race detector costs, generously.
const slowdown = 10
