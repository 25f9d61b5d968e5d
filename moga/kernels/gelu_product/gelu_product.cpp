// See gelu_product.h. To cuBLASLt, whose matrices lie in columns, a row-major matrix is its transpose: y = x Wᵀ is
// yᵀ [hidden, rows] = W · xᵀ, so the bias runs along its columns and its gradient sums over them.
#include "moga/kernels/gelu_product.h"

#include "moga/kernels/gelu_product/cublas_lt.h"

namespace moga::kernels {
namespace {

// A bfloat16 matrix in columns: `rows` elements adjacent, `columns` of them.
struct Matrix {
  const Bfloat16* data;
  int64_t rows, columns;
};

LtOwner<cublasLtMatrixLayout_t> layout_of(const Matrix& matrix) {
  const CublasLt& lt = cublas_lt();
  cublasLtMatrixLayout_t layout = nullptr;
  check_cublas(lt.layout_create(&layout, CUDA_R_16BF, static_cast<uint64_t>(matrix.rows),
                                static_cast<uint64_t>(matrix.columns), matrix.rows),
               "layout");
  return {layout, lt.layout_destroy};
}

// What a product does at its end.
struct Epilogue {
  cublasLtEpilogue_t kind;
  const void* bias;  // [rows of the result], read or written
  const void* aux;   // of the result's shape, read or written
};

LtOwner<cublasLtMatmulDesc_t> product_of(cublasOperation_t a_operation, const Epilogue& epilogue, int64_t aux_rows) {
  const CublasLt& lt = cublas_lt();
  cublasLtMatmulDesc_t desc = nullptr;
  check_cublas(lt.desc_create(&desc, CUBLAS_COMPUTE_32F, CUDA_R_32F), "product");
  const auto set = [&](cublasLtMatmulDescAttributes_t attribute, const auto& value) {
    check_cublas(lt.desc_set(desc, attribute, &value, sizeof(value)), "attribute of a product");
  };
  set(CUBLASLT_MATMUL_DESC_TRANSA, a_operation);
  set(CUBLASLT_MATMUL_DESC_EPILOGUE, epilogue.kind);
  set(CUBLASLT_MATMUL_DESC_BIAS_POINTER, epilogue.bias);
  set(CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_POINTER, epilogue.aux);
  set(CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_LD, aux_rows);
  return {desc, lt.desc_destroy};
}

cublasLtMatmulAlgo_t algorithm(cublasLtMatmulDesc_t product, cublasLtMatrixLayout_t a, cublasLtMatrixLayout_t b,
                               cublasLtMatrixLayout_t d) {
  const CublasLt& lt = cublas_lt();
  cublasLtMatmulPreference_t created = nullptr;
  check_cublas(lt.preference_create(&created), "preference");
  const LtOwner preference(created, lt.preference_destroy);
  const auto set = [&](cublasLtMatmulPreferenceAttributes_t attribute, const auto& value) {
    check_cublas(lt.preference_set(created, attribute, &value, sizeof(value)), "preference");
  };
  set(CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, kProductWorkspace);
  for (const auto alignment : {CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES,
                               CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES})
    set(alignment, uint32_t{16});
  cublasLtMatmulHeuristicResult_t best = {};
  int found = 0;
  check_cublas(lt.heuristic(cublas_lt_handle(), product, a, b, d, d, preference.get(), 1, &best, &found), "heuristic");
  if (found == 0) throw std::runtime_error("cuBLASLt has no product with GELU at its end for these sizes");
  return best.algo;
}

// d = epilogue(op(a) · b)
void multiply(cublasOperation_t operation, const Matrix& a, const Matrix& b, const Matrix& d, const Epilogue& epilogue,
              void* workspace, CUstream_st* stream) {
  const auto product = product_of(operation, epilogue, d.rows);
  const auto a_layout = layout_of(a), b_layout = layout_of(b), d_layout = layout_of(d);
  const cublasLtMatmulAlgo_t algo = algorithm(product.get(), a_layout.get(), b_layout.get(), d_layout.get());
  const float one = 1, zero = 0;
  auto* result = const_cast<Bfloat16*>(d.data);
  check_cublas(
      cublas_lt().matmul(cublas_lt_handle(), product.get(), &one, a.data, a_layout.get(), b.data, b_layout.get(), &zero,
                         result, d_layout.get(), result, d_layout.get(), &algo, workspace, kProductWorkspace, stream),
      "product with GELU at its end");
}

}  // namespace

void gelu_product(const GeluProduct& work) {
  multiply(CUBLAS_OP_T, {work.weight, work.in, work.hidden}, {work.x, work.in, work.rows},
           {work.y, work.hidden, work.rows}, {CUBLASLT_EPILOGUE_GELU_AUX_BIAS, work.bias, work.pre}, work.workspace,
           work.stream);
}

void gelu_product_backward(const GeluProductBackward& work) {
  multiply(CUBLAS_OP_N, {work.weight, work.hidden, work.out}, {work.dz, work.out, work.rows},
           {work.dpre, work.hidden, work.rows}, {CUBLASLT_EPILOGUE_DGELU_BGRAD, work.dbias, work.pre}, work.workspace,
           work.stream);
}

}  // namespace moga::kernels
