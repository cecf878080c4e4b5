package master

import (
	"fmt"
	"maps"

	"envoxyd/internal/shm"
	"envoxyd/master/stats"
)

// historyMemory is the name under which an upgrade hands over what was counted.
const historyMemory = "history"

// heritage is what a master tells the next one of what was counted. Scoreboards that processes still write are handed over
// beside it, so that nothing is missing that they count until they end.
type heritage struct {
	Layout      string                            `json:"layout"` // of scoreboards and histograms: a program with another one begins anew
	Ended       stats.Life                        `json:"ended"`
	Reloads     []stats.Reload                    `json:"reloads"`
	Good        uint64                            `json:"good"`
	Failed      uint64                            `json:"failed"`
	Auxiliaries map[string]stats.AuxiliaryHistory `json:"auxiliaries"`
	Signals     [2]uint64                         `json:"signals"` // routed and lost
	Boards      []int                             `json:"boards"`  // of each, how many cores a row has
}

func boardLayout() string { return fmt.Sprintf("%d %d", shm.CoreSize, shm.TimingSize) }

func boardKey(number int) string { return fmt.Sprintf("history:board:%d", number) }

// passHistory is what the next master gets, by key; the descriptors stay ours.
func (m *master) passHistory() (map[string]int, error) {
	file, err := m.owned.kept.Memory(historyMemory, shm.NewHistoryFile)
	if err != nil {
		return nil, err
	}
	note, err := shm.OpenNote(int(file.Fd()))
	if err != nil {
		return nil, err
	}
	defer note.Close()
	h := &m.history
	passed := heritage{Layout: boardLayout(), Ended: h.ended, Reloads: h.reloads, Good: h.good, Failed: h.failed,
		Auxiliaries: maps.Clone(h.auxiliaries), Signals: [2]uint64{m.router.Routed, m.router.Lost}}
	if passed.Auxiliaries == nil {
		passed.Auxiliaries = map[string]stats.AuxiliaryHistory{}
	}
	for _, board := range h.inherited { // the master before us has gone
		addBoard(&passed.Ended, board)
	}
	descriptors := map[string]int{}
	for _, g := range m.generations() {
		g.addPlaces(&passed.Ended)
		g.addAuxiliaries(passed.Auxiliaries)
		descriptors[boardKey(len(passed.Boards))] = int(g.board.File().Fd())
		passed.Boards = append(passed.Boards, g.board.Cores())
	}
	return descriptors, note.WriteJSON(passed)
}

// inheritHistory makes the memory for what the next master gets, and takes over what the one before us has counted.
func (m *master) inheritHistory() error {
	file, err := m.owned.kept.Memory(historyMemory, shm.NewHistoryFile)
	if err != nil || !m.upgrader.second {
		return err
	}
	note, err := shm.OpenNote(int(file.Fd()))
	if err != nil {
		return err
	}
	defer note.Close()
	var passed heritage
	if !note.ReadJSON(&passed) || passed.Layout != boardLayout() {
		return nil
	}
	h := &m.history
	h.ended, h.reloads, h.good, h.failed, h.auxiliaries = passed.Ended, passed.Reloads, passed.Good, passed.Failed, passed.Auxiliaries
	m.router.Routed, m.router.Lost = passed.Signals[0], passed.Signals[1]
	for number, cores := range passed.Boards {
		fd := m.upgrader.inherited.Take(boardKey(number))
		if fd < 0 {
			continue
		}
		board, err := shm.OpenBoard(fd, cores)
		if err != nil {
			return err
		}
		if err := board.CloseFile(); err != nil { // what it counts is added up before the next upgrade
			return err
		}
		h.inherited = append(h.inherited, board)
	}
	return nil
}

// addBoard adds what all processes of a scoreboard have counted so far.
func addBoard(life *stats.Life, board *shm.Board) {
	for row := 1; row <= board.Rows(); row++ {
		life.AddRow(board, row)
	}
}
