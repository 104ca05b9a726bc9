package shop;

import jakarta.persistence.EntityManager;
import jakarta.persistence.PersistenceContext;
import java.util.stream.Stream;
import org.hibernate.jpa.HibernateHints;
import org.springframework.stereotype.Service;
import org.springframework.transaction.annotation.Transactional;

@Service
public class Orders {
  public static class ChangedMind extends RuntimeException {}

  @PersistenceContext private EntityManager entities;

  @Transactional
  public void place(boolean kept) {
    entities.persist(new Order("tea"));
    int sold =
        entities
            .createNativeQuery("update stock set remaining = remaining - 1 where item = :item")
            .setParameter("item", "tea")
            .executeUpdate();
    if (sold != 1 || !kept) {
      throw new ChangedMind();
    }
  }

  /** Reads by a server-side cursor: seven rows at a time. */
  @Transactional(readOnly = true)
  public long listed() {
    try (Stream<Order> all =
        entities
            .createQuery("select o from Order o where o.item = 'tea'", Order.class)
            .setHint(HibernateHints.HINT_FETCH_SIZE, 7)
            .getResultStream()) {
      return all.count();
    }
  }

  /** Raises the isolation of this transaction alone. */
  @Transactional
  public String serializable() {
    entities.createNativeQuery("set transaction isolation level serializable").executeUpdate();
    return isolation();
  }

  @Transactional
  public String isolation() {
    return entities
        .createNativeQuery("show transaction_isolation", String.class)
        .getSingleResult()
        .toString();
  }

  /** Statements prepared on the server's connection; this one is, once it has run five times. */
  @Transactional
  public long prepared() {
    long count = 0;
    for (int time = 0; time < 6; time++) {
      count =
          ((Number)
                  entities
                      .createNativeQuery(
                          "select count(*) from pg_prepared_statements where name like 'PGBOUNCER%'",
                          Long.class)
                      .getSingleResult())
              .longValue();
    }
    return count;
  }
}
