package marshal

import (
	"encoding/hex"
	"errors"
	"math"
	"math/big"
	"os/exec"
	"reflect"
	"testing"
)

// whole is a value of every kind, as the Append functions write it and as Python prints it.
func whole() (data []byte, repr string) {
	data = AppendTuple(nil, 10)
	data = AppendNone(data)
	data = AppendBool(data, true)
	data = AppendInt(data, -7)
	data = AppendInt(data, math.MinInt64)
	data = AppendInt(data, math.MaxInt64)
	data = AppendFloat(data, 1.25)
	data = AppendText(data, "blå")
	data = AppendText(data, "plain")
	data = AppendBytes(data, []byte{0, 255})
	at := len(data)
	data = AppendList(data, 0)
	data = EndDict(AppendInt(AppendKey(AppendInt(AppendKey(AppendDict(data), "a"), 1), "ø"), 2))
	data = EndDict(AppendInt(AppendRef(AppendInt(AppendRef(AppendDict(data), 0), 3), 1), 1<<40))
	SetListSize(data, at, 2)
	return data, "(None, True, -7, -9223372036854775808, 9223372036854775807, 1.25, 'blå', 'plain', b'\\x00\\xff'," +
		" [{'a': 1, 'ø': 2}, {'a': 3, 'ø': 1099511627776}])\n"
}

func TestPythonReadsWhatIsWritten(t *testing.T) {
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("no python3 on PATH")
	}
	data, repr := whole()
	command := exec.Command(python, "-X", "utf8", "-c", "import marshal,sys;print(marshal.loads(bytes.fromhex(sys.argv[1])))", hex.EncodeToString(data))
	out, err := command.Output()
	if err != nil || string(out) != repr {
		t.Fatalf("Python read %s (%v), want %s", out, err, repr)
	}
}

func TestReadWhatPythonWrites(t *testing.T) {
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("no python3 on PATH")
	}
	const program = `import marshal,sys;sys.stdout.buffer.write(marshal.dumps((None,True,False,5,-2**40,2**70,-2.5,'blå','plain',b'\0\xff',[(1,),[]],{'k':'v','n':{}}),2))`
	out, err := exec.Command(python, "-X", "utf8", "-c", program).Output()
	if err != nil {
		t.Fatal(err)
	}
	got, err := Read(out)
	if err != nil {
		t.Fatal(err)
	}
	want := Tuple{nil, true, false, int64(5), int64(-1 << 40), new(big.Int).Lsh(big.NewInt(1), 70), -2.5, "blå", "plain", Bytes{0, 255},
		[]any{Tuple{int64(1)}, []any{}}, Dict{{"k", "v"}, {"n", Dict{}}}}
	if !reflect.DeepEqual(got, want) {
		t.Fatalf("got %#v, want %#v", got, want)
	}
	if value, ok := want[11].(Dict).Get("k"); !ok || value != "v" {
		t.Errorf("Get: %v %v", value, ok)
	}
}

func TestReadRefuses(t *testing.T) {
	for name, data := range map[string]string{
		"nothing":            "",
		"unknown code":       "\xe9\x00",
		"text cut short":     "u\x05\x00\x00\x00ab",
		"negative size":      "u\xff\xff\xff\xffab",
		"tuple cut short":    "(\xff\xff\xff\x7f",
		"long cut short":     "l\x02\x00\x00\x00\x01\x00",
		"smallest long size": "l\x00\x00\x00\x80",
		"dict without end":   "{N",
		"key that is no str": "{NN0",
		"something follows":  "NN",
	} {
		if value, err := Read([]byte(data)); !errors.Is(err, ErrFormat) {
			t.Errorf("%s: %v, %v", name, value, err)
		}
	}
}

func FuzzRead(f *testing.F) {
	f.Add([]byte("(\x02\x00\x00\x00N[\x01\x00\x00\x00i\x05\x00\x00\x00"))
	f.Add([]byte("{u\x01\x00\x00\x00kl\xff\xff\xff\xff\x05\x000"))
	f.Fuzz(func(t *testing.T, data []byte) {
		if _, err := Read(data); err != nil && !errors.Is(err, ErrFormat) {
			t.Fatal(err)
		}
	})
}
