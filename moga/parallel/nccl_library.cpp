// Finds and loads libmoga_nccl.so: next to the program, in ../lib from it, or where the loader looks.
#include <dlfcn.h>

#include <filesystem>

#include "moga/core/check.h"
#include "moga/core/device.h"
#include "moga/parallel/group_state.h"

namespace moga {
namespace {

MakeBackend load_maker() {
  check(cuda_available(), "NCCL needs a GPU that PyTorch can use; this machine has none");
  constexpr const char* kName = "libmoga_nccl.so";
  std::error_code ignored;
  const auto folder = std::filesystem::read_symlink("/proc/self/exe", ignored).parent_path();
  void* library = nullptr;
  std::string reason;
  for (const std::filesystem::path& path :
       {folder / kName, folder / ".." / "lib" / kName, std::filesystem::path(kName)}) {
    if (library || (path.has_parent_path() && !std::filesystem::exists(path, ignored))) continue;
    library = dlopen(path.c_str(), RTLD_NOW | RTLD_GLOBAL);
    if (!library) reason = dlerror();
  }
  check(library != nullptr, "several GPUs need libmoga_nccl.so, built with MOGA_CUDA where nccl.h is found: ", reason);
  const auto maker = reinterpret_cast<MakeBackend>(dlsym(library, "moga_make_nccl"));
  check(maker != nullptr, "libmoga_nccl.so has no moga_make_nccl: it belongs to another version");
  return maker;
}

}  // namespace

c10d::Backend* make_nccl(const BackendRequest& request) {
  static const MakeBackend maker = load_maker();
  return maker(request);
}

}  // namespace moga
