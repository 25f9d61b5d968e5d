// Coordinates and sub-groups of the two axes. See mesh.h.
#include "moga/parallel/mesh.h"

#include <cmath>

namespace moga {

void ParallelConfig::validate() const {
  check(data >= 0, "data = ", data, ", expected 1 or more, or 0 for what the ranks leave");
  check(sequence >= 0, "sequence = ", sequence, ", expected 1 or more, or 0 for what the ranks leave");
  check(data > 0 || sequence > 0, "data and sequence are both 0; one of them must be given");
  check(std::isfinite(timeout) && timeout > 0, "timeout = ", timeout, ", expected seconds above 0");
}

int64_t guidance_ranks(int64_t ranks, bool guided) { return guided && ranks % 2 == 0 ? 2 : 1; }

Mesh::Mesh(const ProcessGroup& world, const char* outer_name, int64_t outer, int64_t inner) : world_(world) {
  check(outer > 0 && inner > 0 && outer * inner == world.size(), "a mesh ", outer_name, " × sequence = ", outer, " × ",
        inner, " does not fill the ", world.size(), " rank(s) of this run");
  const int64_t row = world.rank() / inner, column = world.rank() % inner;
  std::vector<int64_t> along_outer, along_inner;
  for (int64_t i = 0; i < outer; ++i) along_outer.push_back(i * inner + column);
  for (int64_t i = 0; i < inner; ++i) along_inner.push_back(row * inner + i);
  outer_ = world.subgroup(std::string(outer_name) + " " + std::to_string(column), along_outer);
  inner_ = world.subgroup("sequence " + std::to_string(row), along_inner);
}

Mesh Mesh::training(const ProcessGroup& world, const ParallelConfig& config) {
  config.validate();
  const int64_t sequence = config.sequence > 0 ? config.sequence : world.size() / config.data;
  return Mesh(world, "data", config.data > 0 ? config.data : world.size() / sequence, sequence);
}

Mesh Mesh::rehearsed(int64_t ranks) {
  Mesh mesh;
  mesh.world_ = ProcessGroup::rehearsed(ranks);
  return mesh;
}

Mesh Mesh::generation(const ProcessGroup& world, int64_t guidance) {
  check(guidance == 1 || guidance == 2, "guidance = ", guidance, ", expected 1, or 2: with and without captions");
  return Mesh(world, "guidance", guidance, world.size() / guidance);
}

}  // namespace moga
