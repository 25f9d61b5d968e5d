// Launches the forward pass: the work list, tensor maps, and the kernel with the tile sizes for the head size.
#include "moga/kernels/grouped_attention/forward.cuh"

#include "moga/kernels/device/launch.h"
#include "moga/kernels/grouped_attention/maps.h"

namespace moga::kernels {
namespace {

using Forward64 = ForwardConfig<64, 128, 2>;
using Forward128 = ForwardConfig<128, 80, 3>;

template <class C>
void launch_forward(const GroupedAttentionForward& call) {
  const GroupedAttentionShape& shape = call.shape;
  const WorkList list =
      work_list(shape.q_offsets, shape.k_offsets, shape.groups, shape.heads, static_cast<int32_t*>(call.scratch));
  list_work(list, C::kTileM, shape.stream);
  const bool keys = shape.keys > 0;  // without keys no tile is loaded, but a map needs an address
  const ForwardMaps maps{
      head_rows_map(call.q, shape.queries, shape, C::kTileM, C::kHeadSize / kSlabColumns),
      head_rows_map(keys ? call.k : call.q, shape.keys, shape, C::kTileN, C::kHeadSize / kSlabColumns),
      head_rows_map(keys ? call.v : call.q, shape.keys, shape, C::kTileN, C::kHeadSize / kSlabColumns)};
  const ForwardOutput to{call.output, call.lse, shape.heads, shape.scale};
  const auto kernel = grouped_attention_forward_sm90<C>;
  launch_persistent(kernel, C::kThreads, sizeof(ForwardShared<C>), shape.stream, maps, list, to);
}

}  // namespace

bool grouped_attention_runs_on(int device) { return is_hopper(device); }

size_t grouped_attention_forward_scratch(const GroupedAttentionShape& shape) {
  return work_list_size(shape.groups) * sizeof(int32_t);
}

void grouped_attention_forward(const GroupedAttentionForward& call) {
  if (call.shape.queries == 0) return;
  call.shape.head_size == 64 ? launch_forward<Forward64>(call) : launch_forward<Forward128>(call);
}

}  // namespace moga::kernels
