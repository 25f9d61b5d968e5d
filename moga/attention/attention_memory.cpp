// A queue of records: a call that does not match its record is an error, not a wrong gradient.
#include "moga/attention/attention_memory.h"

#include <ATen/ATen.h>

#include "moga/core/check.h"

namespace moga {

int64_t AttentionMemory::bytes() const {
  int64_t sum = 0;
  const auto add = [&](const at::Tensor& x) { sum += x.defined() ? static_cast<int64_t>(x.nbytes()) : 0; };
  for (const AttentionRecord& record : records_) {
    add(record.output);
    add(record.lse);
    for (const GroupedAttention& branch : record.branches) {
      add(branch.output);
      add(branch.lse);
      for (const at::Tensor& saved : branch.saved) add(saved);
    }
  }
  return sum;
}

AttentionRecord AttentionMemory::take(size_t branches, const at::Tensor& q) {
  check(!records_.empty(),
        "attention memory: a call of the second pass has no record; the first pass made fewer calls");
  AttentionRecord record = std::move(records_.front());
  records_.pop_front();
  const at::Tensor& output = record.output.defined() ? record.output : record.branches.front().output;  // [n, H, D]
  check(record.branches.size() == branches && output.sizes().slice(1) == q.sizes().slice(1) &&
            output.size(0) <= q.size(0) && output.scalar_type() == q.scalar_type(),
        "attention memory: the record of ", record.branches.size(), " branches with output ", output.sizes(),
        " is not that of a call with ", branches, " branches and q ", q.sizes());
  return record;
}

}  // namespace moga
