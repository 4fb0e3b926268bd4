#!/usr/bin/env bash
# A compression over the nodes of a Slurm cluster, one rank a GPU or, without GPUs, one a node:
#
#   SGPT_MI_SBATCH='--nodes=2 --gpus-per-node=8 --ntasks-per-node=8' \
#     scripts/slurm_compress.sh MODEL c4 --target_stored_bits 3 --save out
#
# submits it from a login node; the arguments are those of sgpt-mi compress, SGPT_MI_SBATCH holds
# options of sbatch. Submitting again goes on with what a job left when it was killed (--resume).
# The program is build/sgpt-mi, or what SGPT_MI names; it has to be built with MPI. SGPT_MI_SRUN
# holds options of srun (default: --mpi=pmix).
#SBATCH --job-name=sgpt-mi
#SBATCH --output=sgpt-mi-%j.log
set -euo pipefail

if [[ -n ${SLURM_JOB_ID:-} && ${1:-} == --task ]]; then
  shift
  read -r -a launch <<<"${SGPT_MI_SRUN:---mpi=pmix}"
  exec srun "${launch[@]}" "${SGPT_MI:-build/sgpt-mi}" compress "$@" --resume
fi
if [[ $# -lt 2 ]]; then
  printf 'Usage: scripts/slurm_compress.sh MODEL DATASET FLAG...\n' >&2
  exit 2
fi
read -r -a options <<<"${SGPT_MI_SBATCH:-}"
sbatch ${options[@]+"${options[@]}"} "$0" --task "$@"
