// UniPC (arXiv 2302.04867) of order 2, B(h) = e^h - 1 ("bh2"), in data prediction, for a rectified flow.
//
// With λ = log((1-t)/t) and the predicted data m = x - t·v(x, t), the flow from time s to t, h = λ_t - λ_s, is
//   x_t = (t/s)·x_s - (1-t)·E·(m_s + Σ_k ρ_k·D_k),   E = e^-h - 1,
// where D_k are differences of m divided by their distance in λ (in units of h). The predictor uses m_s and the m of
// the step before. Once the model has been evaluated at the predicted sample, the corrector repeats the step with the
// new m, which takes no further evaluation. The first and the last step are of order 1, and the last result is not
// corrected.
#include "moga/sampler/unipc.h"

#include <ATen/ATen.h>

#include <cmath>

#include "moga/core/check.h"

namespace moga {
namespace {

constexpr size_t kOrder = 2;

// Weights of the differences in a corrector step of order 2: `before` for the m of one step earlier, `after` for the
// new m.
struct CorrectorWeights {
  double before;
  double after;
};

// Solves ρ_0 + ρ_1 = b_0, r·ρ_0 + ρ_1 = b_1, with b_k the moments of e^λ over the step (eq. 12 of the paper).
CorrectorWeights corrector_weights(double h, double r) {
  const double e = std::expm1(-h);
  const double phi_2 = e / -h - 1.0;
  const double phi_3 = phi_2 / -h - 0.5;
  const double b_0 = phi_2 / e;
  const double b_1 = 2.0 * phi_3 / e;
  const double before = (b_0 - b_1) / (1.0 - r);
  return {.before = before, .after = b_0 - before};
}

class UniPc : public Solver {
 public:
  explicit UniPc(const std::vector<double>& times) : times_(times) {}

  at::Tensor step(const at::Tensor& x, const at::Tensor& velocity, size_t i) override {
    check(i + 1 < times_.size(), "UniPC: step ", i, " of a schedule of ", times_.size() - 1);
    check(i >= data_.size(), "UniPC: step ", i, " with a history of ", data_.size(), " steps");
    const at::Tensor data = at::sub(x, velocity.to(x.scalar_type()), times_[i]);  // m
    sample_ = data_.empty() ? x : correct(data, i);
    data_.push_back(data);
    if (data_.size() > kOrder) data_.erase(data_.begin());
    return predict(i);
  }

  std::vector<at::Tensor> state() const override {
    std::vector<at::Tensor> state = data_;
    if (sample_.defined()) state.insert(state.begin(), sample_);
    return state;
  }

  void restore(const std::vector<at::Tensor>& state) override {
    check(state.size() != 1 && state.size() <= kOrder + 1, "UniPC: a state of ", state.size(),
          " tensors, expected 0, 2 or 3");
    sample_ = state.empty() ? at::Tensor() : state.front();
    data_.assign(state.begin() + (state.empty() ? 0 : 1), state.end());
  }

 private:
  double lambda(size_t i) const { return std::log1p(-times_[i]) - std::log(times_[i]); }

  // (t/s)·x_s - (1-t)·E·m_s for the step from i to i + 1: the part that predictor and corrector share.
  at::Tensor first_order(size_t i, double e) const {
    const at::Tensor scaled = at::mul(sample_, times_[i + 1] / times_[i]);
    return at::sub(scaled, data_.back(), (1.0 - times_[i + 1]) * e);
  }

  // In the last step λ is infinite and E = -1, so a step of order 1 returns m itself.
  at::Tensor predict(size_t i) const {
    const double h = lambda(i + 1) - lambda(i);
    const double e = std::expm1(-h);
    const at::Tensor x = first_order(i, e);
    if (data_.size() < kOrder || i + 2 == times_.size()) return x;
    const double r = (lambda(i - 1) - lambda(i)) / h;
    return at::sub(x, data_.front() - data_.back(), (1.0 - times_[i + 1]) * e * 0.5 / r);
  }

  // Repeats the step from i - 1 to i with the data predicted at i, at the order of its predictor.
  at::Tensor correct(const at::Tensor& data, size_t i) const {
    const double h = lambda(i) - lambda(i - 1);
    const double e = std::expm1(-h);
    const double scale = (1.0 - times_[i]) * e;
    const at::Tensor x = first_order(i - 1, e);
    const at::Tensor change = data - data_.back();
    if (data_.size() < kOrder) return at::sub(x, change, scale * 0.5);
    const double r = (lambda(i - 2) - lambda(i - 1)) / h;
    const CorrectorWeights weight = corrector_weights(h, r);
    const at::Tensor corrected = at::sub(x, data_.front() - data_.back(), scale * weight.before / r);
    return at::sub(corrected, change, scale * weight.after);
  }

  std::vector<double> times_;
  at::Tensor sample_;             // corrected x at the last step's time
  std::vector<at::Tensor> data_;  // predicted data of the last kOrder steps, oldest first
};

}  // namespace

std::unique_ptr<Solver> make_unipc(const std::vector<double>& times) { return std::make_unique<UniPc>(times); }

}  // namespace moga
