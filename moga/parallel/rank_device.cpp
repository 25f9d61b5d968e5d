// See rank_device.h.
#include "moga/parallel/rank_device.h"

#include <c10/core/impl/VirtualGuardImpl.h>

#include "moga/core/check.h"
#include "moga/core/device.h"

namespace moga {

c10::Device rank_device(const RankEnvironment& environment, const std::string& name) {
  if (environment.world == 1) return parse_device(name);
  check(!name.starts_with("cuda:"), "device '", name, "' is one GPU, the run has ", environment.world,
        " ranks: expected auto, cuda or cpu");
  const c10::Device first = parse_device(name);
  if (!first.is_cuda()) return first;
  const c10::impl::VirtualGuardImpl guard(c10::kCUDA);
  const int64_t gpus = static_cast<uint8_t>(guard.deviceCount());
  check(gpus == 1 || environment.local_rank < gpus, "local rank ", environment.local_rank,
        " has no GPU: ", environment.local_world, " ranks on ", host_name(), ", which has ", gpus);
  const c10::Device own(c10::kCUDA, static_cast<c10::DeviceIndex>(gpus == 1 ? 0 : environment.local_rank));
  guard.setDevice(own);
  return own;
}

}  // namespace moga
