"""Transport between unequal masses: partial transport and penalties of the marginals."""
