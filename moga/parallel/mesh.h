// The arrangement of ranks along two axes, and the group of ranks along each:
//
//   training     data × sequence:      rank = data · S + sequence        different videos × slices of one video
//   generation   guidance × sequence:  rank = guidance · S + sequence    with and without captions × slices of the film
//
// Sequence ranks are neighbours, because they exchange most. An axis of one rank has a group of one, which needs no
// connection. The mesh only arranges ranks; it issues no collectives.
#pragma once

#include <array>

#include "moga/core/choice.h"
#include "moga/parallel/process_group.h"

namespace moga {

// What of the training state each rank holds (as FSDP and ZeRO shard it).
enum class Shard { kAuto, kNone, kOptimizer, kFull };
template <>
inline constexpr auto kChoices<Shard> = std::array{
    Choice{Shard::kAuto, "auto",
           "the first of the others that fits the memory, chosen by the planner; none without a plan"},
    Choice{Shard::kNone, "none", "everything is whole on every rank"},
    Choice{Shard::kOptimizer, "optimizer", "gradients, masters, moments and moving average are sharded (ZeRO-2)"},
    Choice{Shard::kFull, "full", "the weights of blocks too, gathered one block ahead (ZeRO-3)"},
};

// The part [parallel] of a run's config. 0: from the number of ranks and the other axis.
struct ParallelConfig {
  int64_t data = 0;
  int64_t sequence = 1;
  Shard shard = Shard::kAuto;
  double timeout = 600;

  void validate() const;
  template <class Fields>
  void fields(Fields& field) {
    field("data", data, "ranks that train on different videos; 0: all ranks / sequence");
    field("sequence", sequence, "ranks that share one video; 0: all ranks / data");
    field("shard", shard, "training state that is divided over all ranks");
    field("timeout", timeout, "seconds after which a rank that does not answer ends the run");
  }
};

// Ranks along guidance that use `ranks` best: 2 with guidance and an even number of ranks, since the two halves of an
// evaluation exchange nothing inside the model; otherwise 1.
int64_t guidance_ranks(int64_t ranks, bool guided);

class Mesh {
 public:
  Mesh() = default;  // one rank
  // Every rank of `world` calls them. Throws when the axes do not fill the world.
  static Mesh training(const ProcessGroup& world, const ParallelConfig& config);
  static Mesh generation(const ProcessGroup& world, int64_t guidance);  // guidance: 1 or 2
  // One rank whose sums and shards are those of `ranks` ranks (ProcessGroup::rehearsed), for planning.
  static Mesh rehearsed(int64_t ranks);

  const ProcessGroup& world() const { return world_; }
  const ProcessGroup& data() const { return outer_; }
  const ProcessGroup& guidance() const { return outer_; }
  const ProcessGroup& sequence() const { return inner_; }

 private:
  Mesh(const ProcessGroup& world, const char* outer_name, int64_t outer, int64_t inner);
  ProcessGroup world_, outer_, inner_;
};

}  // namespace moga
