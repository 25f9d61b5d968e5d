// See projections.h.
#include "moga/model/layers/projections.h"

#include "moga/model/layers/rope.h"

namespace moga {

ProjectionsImpl::ProjectionsImpl(const ProjectionsConfig& config) : heads_(config.heads) {
  const auto product = [&](const char* name) { return register_module(name, Linear(config.width, config.width)); };
  if (config.queries) q_ = product("q");
  k_ = product("k");
  v_ = product("v");
  if (config.queries) o_ = product("o");
  if (!config.qk_norm) return;
  if (config.queries) norm_q_ = register_module("norm_q", QkNorm(config.width, config.eps));
  norm_k_ = register_module("norm_k", QkNorm(config.width, config.eps));
}

at::Tensor ProjectionsImpl::queries(const at::Tensor& x) { return positioned(q_(x), norm_q_, {}); }
at::Tensor ProjectionsImpl::keys(const at::Tensor& x) { return positioned(k_(x), norm_k_, {}); }
at::Tensor ProjectionsImpl::values(const at::Tensor& x) { return heads(v_(x)); }
at::Tensor ProjectionsImpl::output(const at::Tensor& attended) { return o_(attended.flatten(1)); }

ProjectionsImpl::Projected ProjectionsImpl::projected(const at::Tensor& x, const at::Tensor& rotary) {
  if (!q_) {
    const auto products = linears(x, {k_, v_});
    return {{}, positioned(products[0], norm_k_, rotary), heads(products[1])};
  }
  const auto products = linears(x, {q_, k_, v_});
  return {positioned(products[0], norm_q_, rotary), positioned(products[1], norm_k_, rotary), heads(products[2])};
}

at::Tensor ProjectionsImpl::positioned(const at::Tensor& product, QkNorm& norm, const at::Tensor& rotary) {
  if (norm) return norm(product, rotary, heads_);
  return rotary.defined() ? rotate(heads(product), rotary) : heads(product);
}

void ProjectionsImpl::initialise() {
  for (Linear* product : {&q_, &k_, &v_, &o_})
    if (*product) (*product)->fill_xavier();
  for (QkNorm* norm : {&norm_q_, &norm_k_})
    if (*norm) (*norm)->initialise();
}

}  // namespace moga
