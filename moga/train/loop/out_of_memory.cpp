// One line for a run that does not fit. See out_of_memory.h.
#include "moga/train/loop/out_of_memory.h"

#include <c10/util/Exception.h>
#include <c10/util/Flags.h>

#include <new>

#include "moga/core/check.h"
#include "moga/core/device.h"
#include "moga/core/log.h"

C10_DECLARE_bool(caffe2_use_fatal_for_enforce);

namespace moga {
namespace {

[[noreturn]] void fail_out_of_memory(const MemoryHelp& help) {
  const std::string device = help.device.is_cuda() ? device_name(help.device) : "the host";
  fail("out of memory on ", device, ": ", format_bytes(static_cast<double>(peak_memory(help.device))),
       " were in use at the peak", help.planned.empty() ? "" : ", " + help.planned,
       help.advice.empty() ? "" : "; less is needed with " + help.advice);
}

}  // namespace

TrainEnd explain_out_of_memory(const MemoryHelp& help, const std::function<TrainEnd()>& train) {
  FLAGS_caffe2_use_fatal_for_enforce = false;  // else the CPU allocator ends the process in the place of an exception
  try {
    return train();
  } catch (const c10::OutOfMemoryError&) {
    fail_out_of_memory(help);
  } catch (const std::bad_alloc&) {
    fail_out_of_memory(help);
  } catch (const c10::Error& error) {
    if (error.msg().find("DefaultCPUAllocator") == std::string::npos) throw;
    fail_out_of_memory(help);
  }
}

}  // namespace moga
