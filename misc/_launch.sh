# Sourced by the scripts in this folder. `launch train …` or `launch evaluate …` runs `python -m training` on Something-Something
# v2, in a process for each of GPUS (1); FRAMES and LISTS are the folders of frames and lists, PYTHON the interpreter.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
PYTHON=${PYTHON:-$([ -x "$root/.venv/bin/python" ] && echo "$root/.venv/bin/python" || echo python3)}
GPUS=${GPUS:-1}

stop() { echo "error: $1" >&2; exit 2; }

# folder <option> <name of the variable> <folder> [option of the user …]: the option, unless the user gives it
folder() {
    local option=$1 variable=$2 place=$3
    shift 3
    case " $* " in *" $option "* | *" $option="* | *" --help "*) return ;; esac
    [ -d "$place" ] || stop "The folder '$place' is missing. Give it with $variable=… or $option …."
    data+=("$option" "$place")
}

launch() {
    local command=$1 data=() start=(-m)
    shift
    folder --data FRAMES "${FRAMES:-data/smt-smt-V2/smt-smt-V2-frames}" "$@"
    folder --lists LISTS "${LISTS:-data/smt-smt-V2/tsm_data}" "$@"
    [[ $GPUS =~ ^[1-9][0-9]*$ ]] || stop "GPUS is the number of GPUs, 1 or more. Got '$GPUS'."
    "$PYTHON" -c 'import importlib.util as u, sys; sys.exit(not all(map(u.find_spec, ("torch", "accelerate"))))' &> /dev/null ||
        stop "The packages are not installed for '$PYTHON'. Run make demo, which sets up .venv, or name a Python that has them: PYTHON=…"
    [ "$GPUS" = 1 ] || start=(-m torch.distributed.run --standalone --nproc_per_node "$GPUS" -m)
    PYTHONPATH="$root${PYTHONPATH:+:$PYTHONPATH}" exec "$PYTHON" "${start[@]}" training "$command" "${data[@]}" "$@"
}
