package emperor

import (
	"os"
	"os/exec"
	"strconv"
)

// hook runs a command for an instance whose process has or had that pid, beside everything else. The emperor's own end
// waits for it; being told to end a second time ends the command too.
func (e *Emperor) hook(v *vassal, pid int, command string) {
	if command == "" {
		return
	}
	id, uid, gid := v.ID, v.UID, v.GID
	e.hooks++
	e.running.Go(func() {
		cmd := exec.CommandContext(e.patient, "/bin/sh", "-c", command)
		cmd.Env = append(os.Environ(), "UWSGI_VASSAL_CONFIG="+id, "UWSGI_VASSAL_PID="+strconv.Itoa(pid),
			"UWSGI_VASSAL_UID="+strconv.Itoa(int(uid)), "UWSGI_VASSAL_GID="+strconv.Itoa(int(gid)))
		cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
		if err := cmd.Run(); err != nil && e.patient.Err() == nil {
			e.log("[emperor] %q for vassal %s: %v", command, id, err)
		}
		e.post(func(e *Emperor) { e.hooks-- })
	})
}
