package master

import (
	"envoxyd/master/privileges"
	"envoxyd/uwsgiopts"
)

// dropPrivileges becomes the user and group of --uid and --gid, for good; with
// --master-as-root only zygote, workers and gateway do.
func dropPrivileges(cfg *uwsgiopts.Config) error {
	settings := privileges.Of(cfg)
	if cfg.MasterAsRoot || !settings.Apply() {
		return nil
	}
	who, err := settings.Resolve()
	if err != nil {
		return err
	}
	return who.Drop(logf)
}
