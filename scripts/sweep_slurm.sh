#!/usr/bin/env bash
# A sweep as a Slurm array: every task runs its share of the cells, and a last job, after all tasks
# have ended, runs what is still missing (nothing, usually) and writes the tables.
#
#   scripts/sweep_slurm.sh CONFIG.json SHARES [FLAG...]
#
# submits both from a login node, in the folder that relative paths of CONFIG.json start from. FLAG:
# more flags of sgpt-mi sweep (--device cuda, --data_dir DIR, --out DIR). Options of sbatch (account,
# partition, GPU, time) come from SGPT_MI_SBATCH: SGPT_MI_SBATCH='--gres=gpu:1 --time=8:00:00'.
# Submitting again goes on where cells are missing: finished ones are not run again.
# The program is build/sgpt-mi, or what SGPT_MI names.
#SBATCH --job-name=sgpt-mi-sweep
#SBATCH --output=sgpt-mi-sweep-%A_%a.log
#SBATCH --cpus-per-task=4
#SBATCH --mem=16G
set -euo pipefail

program=${SGPT_MI:-build/sgpt-mi}

# Inside the array's tasks and the last job: arguments are those of the submission below.
if [[ -n ${SLURM_JOB_ID:-} && ${1:-} == --task ]]; then
  shares=$2
  shift 2
  exec "$program" sweep --threads "${SLURM_CPUS_PER_TASK:-1}" \
    --only "$SLURM_ARRAY_TASK_ID/$shares" "$@"
fi
if [[ -n ${SLURM_JOB_ID:-} && ${1:-} == --tables ]]; then
  shift
  exec "$program" sweep --threads "${SLURM_CPUS_PER_TASK:-1}" "$@"
fi

if [[ $# -lt 2 || ! $2 =~ ^[1-9][0-9]*$ ]]; then
  printf 'Usage: scripts/sweep_slurm.sh CONFIG.json SHARES [FLAG...]\n' >&2
  exit 2
fi
config=$1 shares=$2
shift 2
read -r -a options <<<"${SGPT_MI_SBATCH:-}"
array=$(sbatch --parsable --array="1-$shares" ${options[@]+"${options[@]}"} \
  "$0" --task "$shares" "$config" "$@")
sbatch --dependency="afterany:${array%%;*}" ${options[@]+"${options[@]}"} \
  "$0" --tables "$config" "$@"
