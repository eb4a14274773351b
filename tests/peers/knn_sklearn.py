"""knn_sklearn.py - the kd-tree of scikit-learn beside m4a1's estimator (tests/bench/bench_knn.c).

    knn_sklearn.py FILE N QUERIES D K

FILE holds N rows and then QUERIES rows of D int16, little-endian.  Prints one line with the CPU
seconds of building and of all queries, in one thread, then a line of K distances a query.
"""

import sys
import time

import numpy
from sklearn.neighbors import KDTree

n, n_queries, d, k = (int(word) for word in sys.argv[2:6])
rows = numpy.fromfile(sys.argv[1], dtype="<i2").reshape(n + n_queries, d).astype(numpy.float64)
data, queries = rows[:n].copy(), rows[n:].copy()

start = time.process_time()
tree = KDTree(data)
built = time.process_time()
distances, _ = tree.query(queries, k=k)
done = time.process_time()

print(f"{built - start:.9f} {done - built:.9f}")
for row in distances:
    print(" ".join(f"{value:.12f}" for value in row))
