// Euler's method, x(t') = x(t) + (t' - t) · v(x, t): first order, without history.
#include "moga/sampler/euler.h"

#include <ATen/ATen.h>

namespace moga {
namespace {

class Euler : public Solver {
 public:
  explicit Euler(const std::vector<double>& times) : times_(times) {}

  at::Tensor step(const at::Tensor& x, const at::Tensor& velocity, size_t i) override {
    return at::add(x, velocity.to(x.scalar_type()), times_.at(i + 1) - times_.at(i));
  }

 private:
  std::vector<double> times_;
};

}  // namespace

std::unique_ptr<Solver> make_euler(const std::vector<double>& times) { return std::make_unique<Euler>(times); }

}  // namespace moga
